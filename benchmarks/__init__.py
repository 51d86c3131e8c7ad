"""What regrow costs, measured beside what people would use without it: ``make bench``."""
