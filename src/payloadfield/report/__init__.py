"""Pictures of runs; reads run directories only."""
