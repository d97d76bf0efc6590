"""What /usr/local/sbin/release is made of. Python's standard library only, for the host's own Python."""
