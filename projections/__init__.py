"""Read models: every folder is one (its SQL), every file is the machine that keeps them."""
