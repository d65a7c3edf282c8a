# Refusals of the catalog, in French.
term-unknown = Cette période n'existe pas.
course-unknown = Ce cours n'existe pas.
section-unknown = Ce groupe n'existe pas.
corequisite-unknown = L'un des corequis n'est pas un cours connu.
term-code-taken = Une autre période porte ce code.
course-code-taken = Un autre cours porte ce code.
section-code-taken = Un autre groupe de la période porte ce code.
term-ends-before-it-begins = Le dernier jour de la période précède le premier.
registration-closes-before-it-opens = Les inscriptions ferment avant d'ouvrir.
meeting-ends-before-it-begins = Une séance se termine avant de commencer.
meetings-clash = Deux séances du groupe se chevauchent.
