//! The words of the fixtures. All of it was written for this project; the bridge, the town and the river do not exist.

/// A report about a bridge: facts with numbers and dates that a question can ask for.
pub(crate) const BRIDGE_REPORT: &[&str] = &[
    "The Alder Bridge crosses the river Wend between the old harbour of Marlow Quay and the mill town of Easthaven. \
     Planning began in the autumn of 1926 after the ferry had sunk in a storm. The council asked three engineers for \
     designs. It chose the steel arch of Ingrid Halvorsen because it left the shipping lane free.",
    "Work on the foundations started on 3 March 1929. Divers found that the eastern bank was softer than the survey had \
     promised, and the eastern pier had to be moved by eleven metres. The change cost 42,000 crowns and four months. \
     Two workers, Tomas Brandt and Elias Moor, lost their lives when a scaffold fell in January 1931.",
    "The bridge was opened on 14 May 1932. The mayor of Easthaven cut a green ribbon, and about 9,000 people walked \
     across on the first day. The toll was two pence for a person and six pence for a cart. It was abolished in 1958, \
     when the building loan of 1.3 million crowns had been repaid.",
    "The main span measures 212 metres. The arch rises 47 metres above the water at high tide. Its steel weighs 3,480 \
     tonnes and is held together by some 118,000 rivets. The deck carries two traffic lanes, a tram line and a footpath \
     on the northern side.",
    "Corrosion was first recorded during the inspection of 1974. A full repair followed between 1981 and 1984 under the \
     direction of Miriam Oyelaran. The tram line was removed in that time and came back only in 2003. Today the bridge \
     is repainted every fifteen years, most recently in 2019, in the grey that locals call harbour mist.",
    "About 21,500 vehicles use the bridge on a working day. The speed limit is 40 kilometres per hour. The next main \
     inspection is planned for September 2027.",
];

/// Title and paragraphs of three pages about keeping bees on roofs.
pub(crate) const ROOF_BEES: &[(&str, &[&str])] = &[
    (
        "Keeping bees on city roofs",
        &[
            "This guide is for people who want to keep honey bees on a flat roof. It covers the choice of a place, the \
             work through the year, and the honey harvest. It does not replace a course with a local association.",
            "A roof should carry at least 250 kilograms per square metre. One full hive weighs about 80 kilograms in \
             July. Place the entrance towards the south-east so that the morning sun reaches it, and fix the hive \
             against wind with two straps.",
        ],
    ),
    (
        "The year of the colony",
        &[
            "In March the queen starts to lay eggs again, and the colony needs pollen from hazel and willow. Open the \
             hive only when the air is warmer than 12 degrees.",
            "Swarming season lasts from late April to June. Check for queen cells every seven days. A colony that wants \
             to swarm builds between five and twenty of them.",
            "In August the varroa treatment with formic acid begins. It takes fourteen days and must not be done while \
             honey for harvest is still in the hive.",
        ],
    ),
    (
        "Harvest and law",
        &[
            "Honey is ripe when its water content is below 18 percent. A city colony gives 25 kilograms in a good year, \
             which is more than most rural colonies, because parks and street limes bloom one after the other.",
            "The keeper has to register every hive with the veterinary office within ten days. The registration number \
             for the example in this guide is VO-7731.",
        ],
    ),
];

/// Title, left column and right column of a newsletter.
pub(crate) const NEWSLETTER_TITLE: &str = "Easthaven Library News";

/// The left column.
pub(crate) const NEWSLETTER_LEFT: &[&str] = &[
    "The reading room opens again on Monday after nine weeks of building work. Visitors will find forty new desks, each \
     with a lamp and a socket. The old oak tables were not thrown away: they now stand in the children's department, \
     with shorter legs.",
    "During the work a box with letters was found behind a shelf. They were written by the first librarian, Agnes Pell, \
     between 1891 and 1907. A selection is on show in the entrance hall until the end of November.",
    "Loans rose by eight percent last year. Most borrowed was a cookbook about soups.",
];

/// The right column.
pub(crate) const NEWSLETTER_RIGHT: &[&str] = &[
    "Our evening lectures start in October. The first speaker is the marine biologist Dr. Okafor, who will explain how \
     eels find their way from the Sargasso Sea to the river Wend. Entrance is free, but please book a seat at the desk.",
    "The bookmobile has a new route. It stops in Northfield on Tuesdays and in Marlow Quay on Fridays, from two to five \
     in the afternoon. The village of Lower Wend is served once a month.",
    "Volunteers are wanted for the repair cafe. Tools are there, patience is not included.",
];

/// A short notice, used as a scan and as a picture.
pub(crate) const NOTICE: &[&str] = &[
    "NOTICE TO ALL TENANTS",
    "The lift will be out of service",
    "from 6 June until 17 June 2024.",
    "Please use the stairs in the east wing.",
    "Deliveries are accepted at door number 4.",
    "Telephone: 555 0142",
];

/// Gauges along the river, for the table: name, bank, kilometre.
pub(crate) const GAUGES: &[(&str, &str, f32)] = &[
    ("Upper Lock", "north", 3.2),
    ("Mill Weir", "south", 11.5),
    ("Easthaven", "east", 27.9),
    ("Marlow Quay", "west", 28.4),
    ("Northfield", "north", 41.0),
];
