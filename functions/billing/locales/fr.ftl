# Refusals of billing, in French.
price-group-unknown = L'un des groupes a une catégorie de prix sans tarif.
price-negative = Un prix ne peut pas être négatif.
currencies-differ = Ces montants sont dans des monnaies différentes.
amount-too-large = Le montant est trop élevé.
charge-unknown = Ces frais n'existent pas.
charge-reversed = Ces frais ont été annulés.
execution-superseded = Cette exécution de la saga a été remplacée par une plus récente.
invoice-unknown = Cette facture n'existe pas.
invoice-paid = La facture est payée.
invoice-credited = La facture a fait l'objet d'un avoir : il n'y a rien à payer.
payment-unknown = Ce paiement n'existe pas.
payment-in-progress = Un paiement de cette facture est en cours.
webhook-malformed = Le corps du webhook n'est pas un événement.
webhook-signature-invalid = La signature du webhook n'est pas valable.
webhook-timestamp-old = Le webhook a été signé il y a trop longtemps, ou dans le futur.
