"""Component resources, one a file: what a site is made of, from the host to the proxied record."""
