# Refusals of billing, in English.
price-group-unknown = One of the sections has a price group that nobody has set a price for.
price-negative = A price cannot be negative.
currencies-differ = These amounts are in different currencies.
amount-too-large = The amount is too large.
charge-unknown = There is no such charge.
charge-reversed = The charge has been reversed.
execution-superseded = This execution of the saga has been superseded by a later one.
invoice-unknown = There is no such invoice.
invoice-paid = The invoice is paid.
invoice-credited = The invoice has been credited: there is nothing to pay.
payment-unknown = There is no such payment.
payment-in-progress = A payment for this invoice is under way.
webhook-malformed = The webhook's body is not an event.
webhook-signature-invalid = The webhook's signature is not valid.
webhook-timestamp-old = The webhook was signed too long ago, or too far in the future.
