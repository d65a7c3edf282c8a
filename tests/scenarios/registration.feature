Feature: What a student can register for
  A cart is judged item by item. What can be had is held at once; what cannot comes back with every reason,
  and with what the student can do about it.

  Background:
    Given a term that is open for registration

  Scenario: Whoever submits a section that is offered holds a seat, pays, and is registered
    Given a course Algebra of 3 credits
    And a section A1 of Algebra with 2 seats
    And a student Ada
    When Ada submits A1
    Then nothing is refused
    And 1 seat of A1 is taken
    When Ada pays
    Then Ada is registered for A1

  Scenario: A course whose prerequisite is lacking is refused, and the answer says which course would do
    Given a course Algebra of 3 credits
    And a course Topology of 3 credits that requires Algebra
    And a section T1 of Topology with 2 seats
    And a student Ada
    When Ada submits T1
    Then T1 is refused with PREREQ_NOT_MET
    And Algebra is missing for T1
    And 0 seats of T1 are taken

  Scenario: What was recognised from elsewhere meets a prerequisite
    Given a course Algebra of 3 credits
    And a course Topology of 3 credits that requires Algebra
    And a section T1 of Topology with 2 seats
    And a student Ada for whom Algebra is waived
    When Ada submits T1
    Then nothing is refused

  Scenario: Two sections at the same time exclude each other, and back to back they do not
    Given a course Algebra of 3 credits
    And a course Poetry of 3 credits
    And a course Drama of 3 credits
    And a section A1 of Algebra with 2 seats on monday from 09:00 to 11:00
    And a section P1 of Poetry with 2 seats on monday from 10:00 to 12:00
    And a section D1 of Drama with 2 seats on monday from 11:00 to 13:00
    And a student Ada
    When Ada submits A1, P1 and D1
    Then P1 is refused with TIME_CONFLICT
    And Ada holds a seat in A1
    And Ada holds a seat in D1

  Scenario: The same course twice, or the same section again
    Given a course Algebra of 3 credits
    And a section A1 of Algebra with 2 seats
    And a section A2 of Algebra with 2 seats
    And a student Ada
    When Ada submits A1
    And Ada submits A1 and A2
    Then A1 is refused with DUPLICATE_SECTION
    And A2 is refused with DUPLICATE_COURSE

  Scenario: Nobody takes more than 45 credits in a term
    Given a course Thesis of 44 credits
    And a course Poetry of 1 credit
    And a course Drama of 2 credits
    And a section X1 of Thesis with 2 seats
    And a section P1 of Poetry with 2 seats
    And a section D1 of Drama with 2 seats
    And a student Ada
    When Ada submits X1
    And Ada submits P1 and D1
    Then D1 is refused with MAX_CREDITS
    And Ada holds a seat in P1

  Scenario: Courses that are taken together stand or fall together
    Given a course Physics of 3 credits
    And a course Experiments of 1 credit that is taken together with Physics
    And a section P1 of Physics with 2 seats
    And a section E1 of Experiments with 2 seats
    And a student Ada
    When Ada submits E1
    Then E1 is refused with COREQ_REQUIRED
    When Ada submits E1 and P1
    Then nothing is refused
    And Ada holds a seat in E1

  Scenario: All that speaks against a section is said at once
    Given a course Algebra of 3 credits
    And a course Topology of 3 credits that requires Algebra
    And a section T1 of Topology with 0 seats for year 3 and above
    And a student Ada in year 1
    And the registrar's office stops Ada
    When Ada submits T1
    Then T1 is refused with HOLD, RESTRICTION_LEVEL, PREREQ_NOT_MET and CLOSED

  Scenario: A hold stops a student until the office that placed it lifts it
    Given a course Algebra of 3 credits
    And a section A1 of Algebra with 2 seats
    And a student Ada
    And the registrar's office stops Ada
    When Ada submits A1
    Then A1 is refused with HOLD
    When the registrar's office lets Ada go on
    And Ada submits A1
    Then nothing is refused

  Scenario: An override lifts the one rule that it names, and no other
    Given a course Algebra of 3 credits
    And a course Topology of 3 credits that requires Algebra
    And a section T1 of Topology with 2 seats that the teacher lets students into
    And a student Ada
    When the registrar lets Ada pass PREREQ_NOT_MET in T1
    And Ada submits T1
    Then T1 is refused with INSTRUCTOR_PERMISSION
    When the registrar lets Ada pass INSTRUCTOR_PERMISSION in T1
    And Ada submits T1
    Then nothing is refused

  Scenario: What the head of department does not approve is undone, and the seat is free again
    Given a course Algebra of 3 credits
    And a section A1 of Algebra with 1 seat that the head of department approves
    And students Ada and Ben
    When Ada submits A1
    And the head of department rejects Ada's registration for A1
    Then Ada's registration for A1 is released
    And 0 seats of A1 are taken
    When Ben submits A1
    Then nothing is refused
