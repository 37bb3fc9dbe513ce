"""How versions of cascades come into force, share a tenant's requests and are compared."""
