# Refusals of the catalog, in Spanish.
term-unknown = Este periodo no existe.
course-unknown = Este curso no existe.
section-unknown = Este grupo no existe.
corequisite-unknown = Uno de los correquisitos no es un curso conocido.
term-code-taken = Otro periodo tiene este código.
course-code-taken = Otro curso tiene este código.
section-code-taken = Otro grupo del periodo tiene este código.
term-ends-before-it-begins = El último día del periodo es anterior al primero.
registration-closes-before-it-opens = La matrícula cierra antes de abrir.
meeting-ends-before-it-begins = Una sesión termina antes de empezar.
meetings-clash = Dos sesiones del grupo se solapan.
