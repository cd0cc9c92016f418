"""What the intervals rest on: sums and rows of the data, variances of mean gaps, quantiles."""
