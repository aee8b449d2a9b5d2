"""Reading → verdict → alarm → outage, complaint, notice."""
