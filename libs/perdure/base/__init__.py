"""What everything else stands on: identifiers, limits, errors, time and randomness as interfaces."""
