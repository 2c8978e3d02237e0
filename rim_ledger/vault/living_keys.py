"""Reads personal keys; an erased person has none, even if a row was put back."""

from typing import Final

ERASED: Final = """
SELECT stream_id FROM ledger.events WHERE name = 'UserErased' AND stream_id = ANY (%b::uuid[])"""
"""The erased ones among some persons."""

LIVING_KEYS: Final = """
SELECT person, CASE WHEN NOT EXISTS (SELECT FROM ledger.events
                                      WHERE name = 'UserErased' AND stream_id = person)
                    THEN wrapped END
  FROM ledger.personal_keys WHERE person = ANY (%b::uuid[])"""
"""The wrapped keys of some persons; null for erased ones."""
