"""Words of which people, companies and their titles are made. None of them is meant to be anyone."""

from __future__ import annotations

import unicodedata


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


FIRST_NAMES = _words(
    """Aaron Abigail Adam Adele Agnes Ahmed Aiko Alan Alba Alice Amara Amelia Amir Ana Andrea Anita Anna Anton Arjun
    Arthur Asha Astrid Beatriz Ben Bianca Bruno Camila Carla Carlos Caroline Chen Chiara Chloé Claire Clara Daniel
    Daniela David Deepa Diego Dmitri Elena Eli Elif Elise Ella Emil Emma Enzo Erik Esther Ethan Eva Fatima Felix
    Fernanda Filip Fiona Florian Frank Gabriel Gemma Georg Grace Greta Hana Hannah Hassan Heidi Helen Henrik Hugo Ida
    Ines Ingrid Irene Isaac Isabel Ivan Jack Jakob James Jan Jana Jasmin Jens Joana Joel Johanna John Jonas Jorge José
    Julia Julian Jun Kai Karen Karim Karin Katya Kenji Kim Klara Kofi Lars Laura Layla Lea Leo Lena Liam Lina Linda
    Lisa Louis Lucas Lucía Luis Luka Maria Mariana Marco Marie Mark Marta Martin Mateo Matilda Max Maya Mei Mia
    Michael Miguel Mila Milan Mira Mohamed Monica Nadia Naomi Natalia Nathan Nia Nico Nina Noah Nora Olga Oliver
    Olivia Omar Oscar Pablo Paula Paulo Pedro Petra Philip Pia Priya Quentin Rachel Rafael Rania Ravi René Rita
    Robert Roman Rosa Ruben Ruth Ryan Sakura Sam Samira Sanjay Sara Sébastien Sergio Silke Simon Sofia Søren Stefan
    Stella Sunita Susan Sven Tara Teresa Theo Thomas Tim Tina Tomás Ursula Valeria Vera Victor Viktor Vikram Wei
    Wendy Yara Yasmin Yuki Yusuf Zoe Zuzana"""
)

LAST_NAMES = _words(
    """Abbott Acosta Adler Aguilar Ahmed Akers Almeida Alvarez Amari Anders Andrade Arnold Ashby Aydin Bailey Baker
    Baran Barros Bauer Becker Bell Bennett Berg Bergman Bianchi Blake Bloom Bosch Bowen Brandt Braun Brennan Bruno
    Burke Campos Cardoso Carlsen Carter Castillo Chandra Chang Chaves Cole Conti Cooper Costa Cruz Dahl Dalton Das
    Davis Delgado Demir Desai Diaz Dietrich Doyle Dubois Duarte Dunn Eberle Eklund Ellis Engel Eriksen Esposito
    Estrada Evans Falk Farah Faber Ferrari Ferreira Fischer Fleming Flores Fontaine Foster Franco Frank Frost Fuchs
    Fujita Gallo Garcia Gardner Garner Gauthier Gerber Gibson Glenn Gomes Graf Grant Greco Greene Gupta Gustafsson
    Haas Hagen Hahn Hale Hansen Harper Hartmann Hayashi Hayes Heller Henry Herrera Hill Hoffman Holm Horvath Howell
    Huber Hughes Hussain Ibrahim Ito Iyer Jansen Jensen Joshi Jung Kane Kaplan Kapoor Karlsson Kato Kaur Keller Kelly
    Khan Kim Klein Koch Kowalski Kramer Kruger Kumar Kuznetsov Lang Larsen Laurent Lehmann Leone Levin Lima Lind
    Lindgren Lopes Lopez Lorenz Lucas Lund Maier Malik Marino Marsh Martell Matsuda Mayer Medina Mehta Meier Melo
    Mendes Mercer Meyer Michel Miles Miller Molina Moore Morales Moreau Moretti Mori Morris Mueller Murphy Nair
    Nakamura Navarro Neumann Newton Nguyen Nielsen Noble Nolan Novak Nunes Nyberg Obrien Okafor Oliveira Olsen Ortega
    Osei Owens Pacheco Palmer Park Patel Pearson Peña Pereira Perez Perrin Petersen Pham Pinto Popescu Porter Prasad
    Preston Quinn Rahman Ramirez Ramos Rao Reed Reis Reyes Ricci Richter Rivera Robin Rocha Rojas Romano Rossi Roth
    Rousseau Roy Ruiz Russo Ryan Saito Salazar Salim Sanders Santos Sato Sauer Schmitt Schneider Scholz Serra Sharma
    Shaw Silva Singh Soares Sommer Song Sousa Spencer Stein Stone Strand Suarez Sullivan Sun Suzuki Svensson Tanaka
    Tavares Taylor Thomsen Torres Tran Turner Ueda Unger Vance Vargas Vasquez Vega Vogel Vogt Wagner Walsh Wang Ward
    Watts Weber Weiss Wells West White Winter Wolf Wong Wood Wright Yamada Yang Yilmaz Young Zapata Zhang Ziegler"""
)

COMPANY_FIRST = _words(
    """Alder Amber Anchor Apex Arbor Argent Aspen Atlas Aurora Azure Banyan Beacon Birch Blue Bright Bronze Canyon Cedar
    Cinder Clear Cliff Cobalt Copper Coral Crest Crimson Crown Delta Drift Eagle East Echo Elm Ember Ever Falcon Fern
    Field Flint Fox Frost Garnet Glacier Golden Granite Green Harbor Hazel Heron High Hollow Indigo Iron Ivory Jade
    Juniper Kestrel Lake Lark Laurel Linden Lunar Maple Marble Meadow Mesa Mill Misty Moss Noble North Oak Ocean Olive
    Onyx Opal Orchard Osprey Pacific Pearl"""
)

COMPANY_SECOND = _words(
    """bank bay bend berry block bloom bluff bridge brook burn cliff cove craft creek crest dale dell den edge fall
    fern field fin flow ford forge fork gate glen grove guard hall haven hawk hill hold home house key land lane leaf
    light line link loft mark mere mill mont moor path peak pine point pond port quay range reach ridge ring rise
    river rock root row run sail shade shore side spring star stead stem step stone stream thorn tide trail vale
    view wall"""
)

INDUSTRY_WORDS = {
    "B2B SaaS": ("Software", "Systems", "Labs", "Digital"),
    "Professional Services": ("Partners", "Consulting", "Advisory", "Associates"),
    "Financial Services": ("Capital", "Insurance", "Finance", "Trust"),
    "Manufacturing": ("Industries", "Works", "Components", "Machinery"),
    "Healthcare Tech": ("Health", "Medical", "Diagnostics", "Care"),
}

TITLES = {
    "Decision Maker": ("Chief Operating Officer", "VP Operations", "Director of IT", "Head of Customer Experience"),
    "Primary Contact": ("Operations Manager", "Program Manager", "IT Manager", "Team Lead"),
    "User": ("Analyst", "Specialist", "Coordinator", "Engineer"),
    "Billing": ("Accountant", "Finance Manager", "Purchasing Manager", "Controller"),
}


def slug(word: str) -> str:
    """`word` as it stands in an address: lower case, no accents."""
    plain = unicodedata.normalize("NFKD", word.replace("ø", "o").replace("Ø", "O"))
    return "".join(letter for letter in plain.lower() if letter.isascii() and letter.isalnum())
