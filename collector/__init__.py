"""The collector: asks meters, judges what they say, hands it to billing."""
