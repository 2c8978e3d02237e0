"""Borrowers of an example book: names, phones and networks as they are in Nigeria, all invented."""

import random
from typing import Final, NamedTuple

FAMILIES: Final = {
    "Adeyemi Balogun Ogunleye Adebayo Akinola Oyelaran Bankole Olawale Fashola Ajayi Coker Alabi": (
        "Folake Babatunde Jumoke Olumide Segun Yetunde Wale Bukola Kunle Morenike Rashidat Tope"
    ),
    "Okafor Eze Nwosu Obi Umeh Ibe Anya Okonkwo Nnamdi Chukwu Onyeka Okeke": (
        "Adaeze Chiamaka Ebele Ifeanyi Kelechi Ngozi Uche Obinna Chidi Amarachi Nkechi Emeka"
    ),
    "Bello Sani Musa Audu Yusuf Aliyu Lawal Danladi Abubakar Garba Usman Ibrahim": (
        "Danjuma Hadiza Maryam Zainab Aminu Halima Ladi Sadiq Fatima Umar Rabi Bashir"
    ),
    "Briggs Udo Etim Okon Effiong Tamuno Ekpo Amadi Dappa Essien Osagie Aghedo": (
        "Patience Tariye Victoria Ini Ekaette Osaze Blessing Boma Iniobong Efosa Edidiong Ibinabo"
    ),
}
"""Family names, and first names that go with them."""
PREFIXES: Final = {
    "MTN": ("0803", "0806", "0703", "0706", "0813", "0816", "0903", "0906"),
    "Airtel": ("0802", "0808", "0708", "0812", "0902", "0907"),
    "Glo": ("0805", "0807", "0705", "0815", "0905"),
    "9mobile": ("0809", "0817", "0818", "0909"),
}
"""The first four digits of the phones of each network."""
SHARES: Final = {"MTN": 45, "Airtel": 27, "Glo": 20, "9mobile": 8}
"""How many of a hundred phones are of each network."""
SUFFIXES: Final = 9000
"""The last four digits are below this: above, the simulated telco has answers of its own."""


class Person(NamedTuple):
    """A borrower, and how likely each loan of theirs is repaid in time: 0 to 1."""

    name: str
    phone: str
    network: str
    email: str
    care: float


def people(chance: random.Random, count: int) -> list[Person]:
    """So many borrowers, no two of the same name or phone."""
    names = [
        f"{first} {family}"
        for families, firsts in FAMILIES.items()
        for family in families.split()
        for first in firsts.split()
    ]
    suffixes = chance.sample(range(SUFFIXES), count)
    return [
        _person(chance, name, suffix)
        for name, suffix in zip(chance.sample(names, count), suffixes, strict=True)
    ]


def _person(chance: random.Random, name: str, suffix: int) -> Person:
    (network,) = chance.choices([*SHARES], [*SHARES.values()])
    phone = f"{chance.choice(PREFIXES[network])}555{suffix:04}"
    email = f"{name.lower().replace(' ', '.')}{suffix % 100:02}@rim.example"
    return Person(name, phone, network, email, chance.betavariate(6, 1.6))
