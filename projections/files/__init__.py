"""How files are opened, locked, and written whole or not at all."""
