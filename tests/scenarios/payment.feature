Feature: How a seat is paid for
  A seat is the student's once nothing is left that has to be paid by now: all of it, the first part of a plan, or nothing
  yet of what may be paid later.

  Background:
    Given a term that is open for registration
    And a course Algebra of 3 credits
    And a section A1 of Algebra with 2 seats
    And a student Ada

  Scenario: Who chooses a plan and pays the first part is registered, and owes the rest
    Given a plan of 60 per cent at once and the rest later
    When Ada submits A1
    And Ada chooses the plan
    Then Ada holds a seat in A1
    When Ada pays 60 per cent
    Then Ada is registered for A1
    And Ada owes 40 per cent

  Scenario: Who may pay later is registered at once
    When Ada submits A1
    And the bursar lets Ada pay later
    Then Ada is registered for A1
    And Ada owes 100 per cent
