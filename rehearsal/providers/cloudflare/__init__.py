"""The stand-in Cloudflare: one account with the zones that were seeded in it."""
