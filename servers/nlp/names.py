"""Names that are written with capitals: places and peoples of the news, and people's names where they are sure.

A syllable that is also a common word is no name by itself: "trần" is a ceiling, "lan" an orchid.
"""

from collections.abc import Sequence

from servers.nlp.lists import listed, phrases

_PROVINCES = """
an giang|bà rịa vũng tàu|bạc liêu|bắc giang|bắc kạn|bắc ninh|bến tre|bình dương|bình định|bình phước|bình thuận|cà mau
cao bằng|cần thơ|đà nẵng|đắk lắk|đắk nông|đắc lắc|điện biên|đồng nai|đồng tháp|gia lai|hà giang|hà nam|hà nội|hà tĩnh
hải dương|hải phòng|hậu giang|hòa bình|hưng yên|khánh hòa|kiên giang|kon tum|lai châu|lạng sơn|lào cai|lâm đồng|long an
nam định|nghệ an|ninh bình|ninh thuận|phú thọ|phú yên|quảng bình|quảng nam|quảng ngãi|quảng ninh|quảng trị|sóc trăng
sơn la|tây ninh|thái bình|thái nguyên|thanh hóa|thừa thiên huế|tiền giang|trà vinh|tuyên quang|vĩnh long|vĩnh phúc
yên bái
"""
_PLACES = """
việt nam|sài gòn|hồ chí minh|thành phố hồ chí minh|đà lạt|nha trang|vũng tàu|phú quốc|hạ long|hội an|sa pa|buôn ma thuột
điện biên phủ|côn đảo|trường sa|hoàng sa|sông hồng|sông hương|cửu long|mê kông|tây nguyên|đông nam á|châu á
châu âu|châu phi|châu mỹ|châu úc|đông á|trung đông|thái bình dương|đại tây dương|ấn độ dương|bắc cực|nam cực|bắc kinh
thượng hải|hồng kông|đài loan|trung quốc|nhật bản|hàn quốc|triều tiên|ấn độ|thái lan|campuchia|lào cai|indonesia
malaysia|singapore|philippines|myanmar|nước mỹ|hoa kỳ|new york|washington|canada|mexico|brazil|nước anh|anh quốc
luân đôn|london|nước pháp|paris|nước đức|berlin|nước nga|liên xô|mát xcơ va|ukraina|ukraine|tây ban nha
bồ đào nha|hà lan|thụy sĩ|thụy điển|na uy|đan mạch|phần lan|ba lan|hy lạp|thổ nhĩ kỳ|ai cập|nam phi|la mã|nước úc
new zealand|tokyo|seoul|bangkok|liên hợp quốc|liên hiệp quốc|liên minh châu âu|facebook|google|youtube
covid|asean|châu đại dương|địa trung hải|himalaya|victoria|california
"""
_SURNAMES = listed(
    "nguyễn trần lê phạm hoàng huỳnh phan vũ võ đặng bùi đỗ hồ ngô dương lý đinh trương trịnh đoàn lưu tô"
)
_MIDDLES = listed("văn thị đình hữu đức ngọc quang minh thanh xuân quốc hưng hoàng kim công bá duy hải trọng nhật viết")
_SURE_SURNAMES = frozenset({"nguyễn"})
_SURE_MIDDLES = frozenset({"văn", "thị"})
_TITLES = listed("ông bà anh chị em cô chú bác thầy bạn cháu tên")
_NO_NAME = listed(
    "và là có đã đang sẽ không ở của cho với thì mà bị được ra vào nói đi đến làm người trong này đó ấy hay cũng rất"
    " tại từ về theo sinh năm những các một"
)
"""Words that end a person's name."""

_NO_GIVEN = listed("hóa học phòng bản nghệ kiện chương bằng thư công trường xã trấn giác hiếu phần tộc thực")
"""Behind "văn" and "thị" these make words: "giao lưu văn hóa", "quản lý thị trường"."""

SPELT = {"asean": "ASEAN", "youtube": "YouTube"}
"""Names with more than one capital."""
PLACES = phrases(_PROVINCES) | phrases(_PLACES)
_LONGEST = max(map(len, PLACES))
_GENERIC = frozenset({"nước", "sông", "châu", "tiếng", "người", "thành", "phố"})
"""Words of a phrase that keep their small letters: "nước Mỹ", "sông Hồng"."""
_AFTER = {
    "tiếng": phrases("việt|anh|pháp|đức|nhật|hàn|trung|nga|hoa|thái|lào|ý|mỹ|hán|tây ban nha|bồ đào nha|hy lạp"),
    "người": phrases("việt|pháp|đức|nhật|nga|hoa|mỹ|khmer|chăm|do thái|ả rập|hy lạp|la mã|ba tư|mông cổ|ấn độ"),
}
_PRONOUNS = listed("ấy ta em chị trai cả ơi")
"""Behind "anh" these make a person of it: "tiếng anh ấy" is his voice."""
_NO_PEOPLE = {
    "anh": _PRONOUNS | listed("hùng dũng minh"),
    "chăm": listed("chỉ sóc làm học lo chút nom ngoan"),
    "đức": listed("độ hạnh tin"),
    "hoa": listed("hậu"),
    "lào": listed("xào"),
    "mỹ": listed("miều lệ"),
    "trung": listed("thực thành hậu tín kiên niên"),
    "ý": listed("kiến"),
}
"""Words that take the name of a people behind "người" or "tiếng" for their own: "người chăm chỉ" is diligent."""
_TAKEN_BY_NEXT = {
    "ai cập": listed("nhật bến"),
    "bắc cực": listed("kỳ kì đoan"),
    "bắc kinh": listed("tế doanh nghiệm"),
    "cần thơ": listed("mộng ca ấu thẩn"),
    "hạ long": listed("trọng"),
    "hoa kỳ": listed("lạ diệu quặc"),
    "hoàng sa": listed("thải sút đọa lầy ngã"),
    "hội an": listed("toàn ninh bình cư nhàn lạc"),
    "lai châu": listed("á âu phi mỹ úc"),
    "lâm đồng": listed("loạt"),
    "nam cực": listed("kỳ kì đoan"),
    "nam định": listed("cư hướng"),
    "nghệ an": listed("toàn ninh"),
    "nước anh": _PRONOUNS,
    "nước mỹ": listed("miều lệ phẩm"),
    "nước pháp": listed("luật lý quyền"),
    "phần lan": listed("rộng tỏa truyền tràn"),
    "tây nguyên": listed("nhân thủ tắc tử vẹn"),
    "thái lan": listed("rộng tỏa truyền tràn"),
    "trường sa": listed("thải sút đọa lầy ngã"),
}
"""The syllables that take the last one of a name for a word of their own: "công nghệ an toàn"."""
_TAKEN_BY_LAST = {
    "an giang": listed("công bình"),
    "ấn độ": listed("dấu in"),
    "bắc cực": listed("miền"),
    "bắc giang": listed("miền"),
    "bắc kinh": listed("miền"),
    "điện biên": listed("bưu"),
    "gia lai": listed("quốc chuyên tham"),
    "hải phòng": listed("duyên"),
    "hoàng sa": listed("phượng huy"),
    "hội an": listed("xã cơ quốc hiệp lễ"),
    "hưng yên": listed("phục chấn"),
    "khánh hòa": listed("quốc"),
    "la mã": listed("đô"),
    "lâm đồng": listed("kiểm"),
    "nam cực": listed("miền"),
    "nam định": listed("miền"),
    "nam phi": listed("miền một hai ba các những vị"),
    "nghệ an": listed("công kỹ văn"),
    "nhật bản": listed("cập sinh chủ"),
    "ninh bình": listed("an"),
    "ninh thuận": listed("an"),
    "nước pháp": listed("nhà"),
    "phần lan": listed("một"),
    "phú quốc": listed("phong triệu trù"),
    "phú yên": listed("phong triệu trù"),
    "tây nguyên": listed("phương"),
    "thái lan": listed("hình trạng"),
    "thái nguyên": listed("hình trạng"),
    "thanh hóa": listed("âm"),
    "trung đông": listed("tập"),
    "trung quốc": listed("tập miền"),
    "trường sa": listed("công hiện môi nhà thị thương"),
}
"""The syllables that take the first one of a name for a word of their own: "tập trung đông người"."""
_AMBIGUOUS_ALONE = phrases("cao bằng|hòa bình|bình thuận|bình định|hà nam|hải dương|long an|thái bình|phú thọ")
_BEFORE_PLACE = frozenset({"tỉnh", "ở", "tại", "phố", "huyện", "đến", "về", "từ"})


def found(keys: Sequence[str], at: int) -> range:
    """The words of the name that begins at a place; empty when none does."""
    return _place(keys, at) or _after(keys, at) or _person(keys, at) or range(at, at)


def _place(keys: Sequence[str], at: int) -> range:
    for length in range(min(_LONGEST, len(keys) - at), 0, -1):
        name = tuple(keys[at : at + length])
        if name not in PLACES:
            continue
        if name in _AMBIGUOUS_ALONE and (at == 0 or keys[at - 1] not in _BEFORE_PLACE):
            continue
        if _is_taken(name, keys[at - 1] if at else "", keys[at + length] if at + length < len(keys) else ""):
            continue
        common = next((place for place, one in enumerate(name) if one not in _GENERIC), 0)
        return range(at + common, at + length)
    return range(at, at)


def _is_taken(name: tuple[str, ...], before: str, behind: str) -> bool:
    """Whether a word beside a name of two makes another word with the syllable that it touches."""
    spelt = " ".join(name)
    return before in _TAKEN_BY_LAST.get(spelt, ()) or behind in _TAKEN_BY_NEXT.get(spelt, ())


def _after(keys: Sequence[str], at: int) -> range:
    """The name of a language behind "tiếng", or of a people behind "người"."""
    before = keys[at - 1] if at else ""
    names = _AFTER.get(before, frozenset())
    ends = (at + length for length in range(min(_LONGEST, len(keys) - at), 0, -1))
    found = next((range(at, end) for end in ends if tuple(keys[at:end]) in names), range(at, at))
    taken = _NO_PEOPLE.get(keys[at], frozenset()) if len(found) == 1 else frozenset()
    return range(at, at) if not taken.isdisjoint(keys[at + 1 : at + 2]) else found


def _person(keys: Sequence[str], at: int) -> range:
    """A surname, a middle name, a given name; one that may be three words needs a sign, such as a title before it."""
    if keys[at] not in _SURNAMES or at + 2 >= len(keys) or keys[at + 1] not in _MIDDLES:
        return range(at, at)
    titled = at > 0 and (keys[at - 1] in _TITLES or tuple(keys[max(0, at - 2) : at]) == ("tên", "là"))
    sure = keys[at + 1] in _SURE_MIDDLES and keys[at + 2] not in _NO_GIVEN
    if not (titled or sure or keys[at] in _SURE_SURNAMES) or keys[at + 2] in _NO_NAME:
        return range(at, at)
    return range(at, at + 3)
