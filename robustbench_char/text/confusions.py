"""What optical character recognition reads instead of letters and digits that look alike: single ones, and groups.

The classic pairs of the literature (Kukich, Techniques for automatically correcting words in text, ACM Computing
Surveys 24, 1992: rn and m, l, 1 and I, O and 0, e and c, cl and d), and those between letters and digits that Tesseract
3 or 4 made eight times or more in the development sets of NAT (Namysl, Behnke and Köhler, Findings of ACL 2021; 224,197
characters of newswire, printed and scanned), less those that look nothing alike.
"""

from __future__ import annotations

__all__ = ["OCR_CONFUSIONS"]

_TABLE = """
    a:o,u,s,e,0 b:h,B c:e,C d:cl,a,c e:c,a,s,o f:t,l,i,r g:q,y,9 h:b,n,li i:l,I,t,r,f,1 k:h,K l:i,I,1,t,L m:rn,M
    n:h,r,u,ri o:a,0,O,c,u,e p:P q:g r:i,l,f,v s:S,5,e,a,z t:f,l,r,i,1 u:a,U v:V,y w:W,vv x:X y:g,u,v z:s,Z
    B:8,E C:c,G D:O E:B,F G:6,C H:ll I:l,1,i J:j O:0,o,D P:R R:P S:5,s U:ll V:Y Y:V Z:2
    0:O,o 1:l,I,7 2:Z 3:8 5:6,S,s 6:8,5,b 7:1 8:3,6,B 9:0,8,g
    rn:m cl:d vv:w ri:n in:m ni:m nn:m li:h,k ll:H,U ti:u,n rt:n nt:m it:n hi:m th:m to:10 ro:m fi:ﬁ fl:ﬂ
"""


def _parse(table: str) -> dict[str, tuple[tuple[str, tuple[str, ...]], ...]]:
    by_first: dict[str, tuple[tuple[str, tuple[str, ...]], ...]] = {}
    for entry in table.split():
        seen, _, reads = entry.partition(":")
        by_first[seen[0]] = (*by_first.get(seen[0], ()), (seen, tuple(reads.split(","))))
    return by_first


OCR_CONFUSIONS = _parse(_TABLE)
"""By its first character: each text that is printed, and what may be read instead."""
