"""Random requests to every rpc through the edge: nothing may answer INTERNAL, nothing may crash."""
