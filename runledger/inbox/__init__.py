"""Spans are durable before they are understood: the inbox keeps them, and then says so."""
