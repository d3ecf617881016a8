//! Words too common to say what a text is about, in folded form (see `fold`), sorted by language.
//!
//! The lists are short on purpose: BM25 already gives common words little weight, so a list only has to keep
//! the function words out of coverage and of the keywords.

/// English.
pub(super) const ENGLISH: &str = "a about above after again against all also although am an and any are aren't as at \
be because been before being below between both but by can can't cannot could couldn't did didn't do does doesn't \
doing don't down during each either else ever every few for from further had has hasn't have haven't having he her \
here hers herself him himself his how however i i'd i'll i'm i've if in into is isn't it it's its itself just let \
me might more most must my myself neither no nor not now of off on once only or other our ours ourselves out over \
own per same shall she should so some such than that that's the their theirs them themselves then there \
thereby therefore therein thereof these they this those though through thus to too under until unless up upon us very \
was wasn't we were weren't what what's when where where's whether which while who who's whom whose why will with \
within without won't would yet you your yours yourself";

/// German.
pub(super) const GERMAN: &str = "ab aber alle allem allen aller alles als also am an andere anderen auch auf aus bei \
beim bin bis bist da damit dann das dass dein dem den denn der des dessen deren die dies diese diesem diesen dieser \
dieses doch dort du durch ein eine einem einen einer eines er es etwa etwas euch euer fur gab gegen gibt habe haben \
hat hatte hatten hier hinter ich ihm ihn ihnen ihr ihre ihrem ihren ihrer im in ins ist ja jede jedem jeden jeder \
jedes jene kann kein keine keinem keinen keiner konnen konnte machen man mehr mein mich mir mit muss mussen nach \
nicht nichts noch nun nur ob oder ohne sehr sein seine seinem seinen seiner seit sich sie sind so soll sollen \
sondern sonst sowie uber um und uns unser unter vom von vor wahrend wann war waren warum was weil welche welchem \
welchen welcher welches wenn wer werde werden wem wen wessen wie wieder will wir wird wo wohin worin wurde wurden \
zu zum zur zwar zwischen";

/// French.
pub(super) const FRENCH: &str = "a ai ainsi alors apres au aucun aussi autre aux avait avant avec avez avoir avons car \
ce cela celle celui ces cet cette ceux chaque chez comme comment dans de depuis des dont du elle elles en encore \
entre est et etaient etait ete etre eu eux fait faire fut il ils je l'on la le les leur leurs lors lui ma mais me \
meme mes moi moins mon ne ni nos notre nous on ont ou par parce pas peut peuvent plus pour pourquoi pres qu quand \
que quel quelle quelles quels qui quoi sa sans se selon sera seront ses si sien son sont sous sur ta te tes toi ton \
tous tout toute toutes tres tu un une vers vos votre vous y";

/// Spanish.
pub(super) const SPANISH: &str = "a al algo algun alguna algunas alguno algunos ante antes aquel aquella asi aun aunque \
bajo bien cada como con contra cual cuales cuando cuanto cuanta cuantas cuantos de del desde donde dos durante e el \
ella ellas ellos en entre era eran es esa esas ese eso esos esta estaba estan estar estas este esto estos fue fueron \
ha habia hacia han hasta hay la las le les lo los mas me mi mientras mis mucho muy nada ni no nos o os otra otras \
otro otros para pero por porque pues que quien quienes se sea segun ser si sido sin sobre son su sus tal tambien tan \
tanto te tiene tienen toda todas todo todos tras tu tus un una unas uno unos y ya yo";

/// Words by which a prompt speaks about the document or the answer instead of its subject, in the four languages.
pub(super) const FRAME: &str = "according article attached book brief briefly can contain contained contains content \
contents could describe described details document documents exactly explain explained file find give given \
information know line lines me mean means mention mentioned mentions page pages paper paragraph passage pdf please \
point quote reading regarding report say says section sentence show state stated states tell text thing things think \
upload uploaded want word words written \
bitte beschreibe datei dokument erklare gib laut nenne sage sagt seite text zeige \
dans decris dit document donne explique fichier moi page selon texte montre trouve \
archivo describe dice documento explica favor muestra pagina segun texto dame dime";
