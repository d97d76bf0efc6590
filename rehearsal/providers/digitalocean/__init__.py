"""The stand-in DigitalOcean."""
