"""Ray actors: short shells that give generator and diagnoser a place to run, and the Lab made of them."""
