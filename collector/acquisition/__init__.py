"""Talks to meters: who, when, how often; links, lines, plans. Alone opens sockets to them."""
