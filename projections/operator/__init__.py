"""What an operator asks of read models, in this process or the one that holds them."""
