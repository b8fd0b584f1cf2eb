"""What is money here: amounts, records, the book, and the rules that decide. Pure: no I/O, clock or randomness."""
