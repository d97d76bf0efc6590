"""What runs on the host, rendered from typed input; no Pulumi in here."""
