"""An event-sourced run ledger for AI agents."""
