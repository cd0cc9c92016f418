"""Reports as a reader sees them: in a terminal and as a page. Views compute nothing."""
