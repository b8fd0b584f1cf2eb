"""What is said on the way?"""
