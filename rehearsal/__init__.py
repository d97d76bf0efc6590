"""The stand-in cloud: drives the Pulumi program from outside, on machines of its own on this host."""
