"""The wire: requests are parsed and checked here, and answers are made here."""
