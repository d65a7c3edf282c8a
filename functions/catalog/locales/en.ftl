# Refusals of the catalog, in English.
term-unknown = There is no such term.
course-unknown = There is no such course.
section-unknown = There is no such section.
corequisite-unknown = One of the corequisites is no known course.
term-code-taken = Another term has this code.
course-code-taken = Another course has this code.
section-code-taken = Another section of the term has this code.
term-ends-before-it-begins = The term's last day lies before its first.
registration-closes-before-it-opens = Registration closes before it opens.
meeting-ends-before-it-begins = A meeting ends before it begins.
meetings-clash = Two meetings of the section clash with each other.
