"""The stand-in AWS: one account, one region unless a property names another, a default VPC with dual-stack subnets."""
