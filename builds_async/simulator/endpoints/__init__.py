"""The endpoints, one short function each: a module for each resource."""
