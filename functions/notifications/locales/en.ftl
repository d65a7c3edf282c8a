# Refusals of notifications, in English.
message-unknown = There is no such message.
