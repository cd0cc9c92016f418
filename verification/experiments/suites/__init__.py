"""Tables over methods: what each case trains, and what came out."""
