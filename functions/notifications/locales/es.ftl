# Refusals of notifications, in Spanish.
message-unknown = Este mensaje no existe.
