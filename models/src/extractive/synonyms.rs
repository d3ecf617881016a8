//! Groups of English words that questions and documents use for each other.
//!
//! Lexical ranking cannot know that who died was a fatality; a short list of the commonest pairs closes part of
//! the gap when no embedding model is there. A synonym counts less than the word itself.

/// One group a line, folded.
pub(super) const GROUPS: &str = "\
died die dead death deaths killed fatality fatalities deceased
cost price fee charge expense costs
pay payment paid payable
salary wage pay remuneration compensation
author wrote written writer
begin start commence began begins effective
end finish expire terminate termination ends expiry cease
cancel terminate termination withdraw revoke
build built construct construction erected
open opened inaugurated opening
buy purchase bought acquire acquired
sell sold sale
tall height high
long length
wide width broad
deep depth
heavy weigh weight weighs
big size large area
old age aged
fast speed quick
hot warm warmer temperature degrees
population inhabitants residents
car vehicle automobile
phone telephone call
job employment occupation position work
company firm business corporation enterprise
lawyer attorney counsel solicitor
boss manager head director chief lead leader leads
allow allowed permit permitted permission may
forbidden prohibited banned prohibit forbid
need require required necessary must requirement
illness disease sickness
fix repair mend repairs
change modify modification amend amendment alter
rule regulation provision
goal aim purpose objective
result outcome finding findings
cause reason because
guarantee warranty
house home dwelling building
money funds funding sum
live reside resident
born birth
send sent mail deliver delivered delivery ship
use usage utilise utilize
error fault defect failure bug
delete remove erase deletion
contact reach call
holiday vacation leave
kids children child minors
teach taught teacher instructor
win won winner award awarded
design designed drew drawn architect
make made produce manufacture manufactured manufacturer
find found discover discovered
clean cleaning wash
often frequency interval
late delay overdue delayed
deposit security
notice notify inform";
