"""Reads the keys of persons: whoever was erased has none, whatever row somebody put back."""

from typing import Final

ERASED: Final = """
SELECT stream_id FROM ledger.events WHERE name = 'UserErased' AND stream_id = ANY (%b::uuid[])"""
"""Who of some persons was erased."""

LIVING_KEYS: Final = """
SELECT person, CASE WHEN NOT EXISTS (SELECT FROM ledger.events
                                      WHERE name = 'UserErased' AND stream_id = person)
                    THEN wrapped END
  FROM ledger.personal_keys WHERE person = ANY (%b::uuid[])"""
"""The wrapped keys of some persons; null for whoever was erased."""
