"""The parts of `hostile_bytes.py`: `endpoints` knows what there is to attack, `texts` and `attempts` make the requests,
`answers` judges what comes back."""
