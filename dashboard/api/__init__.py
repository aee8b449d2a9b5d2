"""The REST API under ``/api/v1``, for other systems: keys with scopes, JSON, problem+json.

request ──▶ key and scope (``keys``) ──▶ rate (``rate``) ──▶ facts or an act ──▶ JSON with ETag (``answers``)
"""
