"""The inbox stores received spans durably before they are acknowledged and interpreted."""
