"""The stand-in cloud's ground: machines, networks, firewalls, and the package mirror they may reach."""
