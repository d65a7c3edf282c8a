# Refusals of billing, in Spanish.
price-group-unknown = Uno de los grupos tiene una categoría de precio sin tarifa.
price-negative = Un precio no puede ser negativo.
currencies-differ = Estos importes están en monedas distintas.
amount-too-large = El importe es demasiado alto.
charge-unknown = Este cargo no existe.
charge-reversed = El cargo ha sido anulado.
execution-superseded = Esta ejecución de la saga ha sido reemplazada por una posterior.
invoice-unknown = Esta factura no existe.
invoice-paid = La factura está pagada.
invoice-credited = La factura tiene una nota de crédito: no hay nada que pagar.
payment-unknown = Este pago no existe.
payment-in-progress = Hay un pago de esta factura en curso.
webhook-malformed = El cuerpo del webhook no es un evento.
webhook-signature-invalid = La firma del webhook no es válida.
webhook-timestamp-old = El webhook se firmó hace demasiado tiempo, o en el futuro.
