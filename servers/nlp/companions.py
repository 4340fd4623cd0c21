"""Syllables that often stand together although no dictionary has them as a word. They tell accents apart."""

from servers.nlp.lists import phrases

COMPANIONS = phrases("""
tôi là|tôi có|tôi không|tôi đã|tôi đang|tôi sẽ|tôi muốn|tôi nghĩ|tôi cũng|tôi rất|tôi thích|tôi được|tôi đi|tôi cần
của tôi|cho tôi|với tôi|chúng tôi|chúng ta|tối nay|tối qua|sáng nay|chiều nay|hôm nay|hôm qua|ngày mai|năm nay
anh ấy|cô ấy|chị ấy|ông ấy|bà ấy|anh ta|cô ta|bọn họ|của anh|của em|của cô|của bạn|của chúng|của mình|của họ|của nó
bạn có|bạn đã|bạn muốn|bạn là|bạn đang|em có|em đã|anh có|anh đã|ai đã|ai đó|cái gì|cái này|cái đó|con này|nhà tôi
không có|không phải|không thể|không biết|không được|không muốn|không còn|không bao giờ|có thể|có phải|có một|có nhiều
đã được|đã bị|đã có|đang được|sẽ được|sẽ có|bị đánh|được không|phải không|đúng không|là một|là người|là gì|là ai
đi học|đi làm|đi chơi|đi ra|đi vào|đi về|về nhà|ở nhà|ở đâu|ở đây|ở đó|ở trong|ở trên|tại sao|vì sao|như vậy|như thế
thế nào|thế này|bao nhiêu|bao lâu|khi nào|lúc nào|lúc đó|khi đó|sau đó|sau khi|trước khi|trong khi|cho đến|cho đến khi
một người|một cách|một số|một trong|một trong những|nhiều người|những người|các nước|mọi người|người ta|người dân
năm trước|năm sau|năm ngoái|mấy giờ|bây giờ|mỗi ngày|mỗi năm|ngày nào|năm nào|tháng trước|tuần trước|lần đầu|đầu tiên
hai mươi|ba mươi|bốn mươi|năm mươi|sáu mươi|bảy mươi|tám mươi|chín mươi|mươi lăm|mươi mốt|mươi tư|mươi hai|mươi ba
mười lăm|mười hai|mười ba|một trăm|hai trăm|năm trăm|nghìn đồng|triệu đồng|tỷ đồng|trăm nghìn|trăm triệu|phần trăm
lăm nghìn|mươi nghìn|mươi triệu|hai nghìn|ba nghìn|năm nghìn|không trăm|tháng ba|tháng tư|tháng chín|tháng mười
ăn cơm|ăn sáng|ăn tối|uống nước|uống cà phê|đọc sách|xem phim|nghe nhạc|nói tiếng|tiếng anh|tiếng việt|mua nhà|bán nhà
nấu ăn|dạy học|trả tiền|kiếm tiền|làm việc|làm gì|nói gì|nói với|nói rằng|cho rằng|biết rằng|nghĩ rằng|hy vọng rằng
nếu bạn|nếu tôi|nhưng tôi|và tôi|mà tôi|mẹ tôi|bố tôi|cha tôi|con tôi|vợ tôi|bạn tôi|em tôi|với nhau|cùng nhau|giúp tôi
đã từng|chưa từng|vẫn còn|vẫn chưa|chỉ có|chỉ là|đến từ|dựa trên|đối với|so với|liên quan đến|cùng với|thay vì|trở nên
trở thành|trên thế giới|ở việt nam|của việt nam|chiến tranh|thành phố|sông hồng|miền bắc|miền nam|miền trung|bắt đầu
""")

_DIGITS = ("hai", "ba", "bốn", "năm", "sáu", "bảy", "tám", "chín")
_HOURS = ("một", *_DIGITS, "mười", "mười một", "mười hai")
_PARTS = ("rưỡi", "sáng", "trưa", "chiều", "tối", "kém")

SURE = (
    phrases("mười lăm|mươi lăm|mươi mốt|mươi tư|giờ rưỡi|triệu rưỡi|tỷ rưỡi|tháng rưỡi|nghìn rưỡi")
    | frozenset((tens, "mươi", unit) for tens in _DIGITS for unit in ("mốt", "tư", "lăm", *_DIGITS) if unit != "năm")
    | frozenset((*hour.split(), "giờ", part) for hour in _HOURS for part in _PARTS)
    | frozenset(("lúc", *hour.split(), "giờ") for hour in _HOURS)
    | frozenset(("lúc", hour, "giờ", part) for hour in _HOURS if " " not in hour for part in _PARTS)
)
"""Those whose other readings nobody says: "mười lăm" is spelt as "mười làm" is, whose syllables are far more common."""
