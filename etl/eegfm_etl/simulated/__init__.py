"""A small simulated archive of three laboratories, for the demo and the tests: nobody was recorded."""
