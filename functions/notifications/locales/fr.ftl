# Refusals of notifications, in French.
message-unknown = Ce message n'existe pas.
